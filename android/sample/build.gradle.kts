plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.compose)
}

android {
    namespace = "dev.trm.sample"
    compileSdk = 36

    defaultConfig {
        applicationId = "dev.trm.sample"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
    }
    buildFeatures {
        compose = true
    }
    // Uncompressed models can be memory-mapped.
    androidResources {
        noCompress += "safetensors"
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            // Signs with the debug key, so that you need no key of your own.
            signingConfig = signingConfigs.getByName("debug")
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

/** Copies the repository's models to the assets, each as NAME.safetensors. */
abstract class CopyModels : DefaultTask() {
    @get:InputFiles
    abstract val models: ConfigurableFileCollection

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @TaskAction
    fun copy() = models.forEach { model ->
        val asset = assets.file("${model.parentFile.name}.safetensors").get().asFile
        model.copyTo(asset, overwrite = true)
    }
}

val copyModels by tasks.registering(CopyModels::class) {
    for (name in listOf("sudoku-9x9", "maze-10x10")) {
        models.from(rootDir.resolve("../models/$name/model.safetensors"))
    }
}
androidComponents {
    onVariants {
        it.sources.assets?.addGeneratedSourceDirectory(copyModels, CopyModels::assets)
    }
}

dependencies {
    implementation(project(":trm"))
    implementation(libs.coroutines.android)
    implementation(platform(libs.compose.bom))
    implementation(libs.compose.material3)
    implementation(libs.activity.compose)
    implementation(libs.lifecycle.runtime.compose)
    implementation(libs.lifecycle.viewmodel.compose)
}
