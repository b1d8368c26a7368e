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
    // The library maps the models out of the package.
    androidResources {
        noCompress += "safetensors"
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            // So that it can be tried without a key of one's own.
            signingConfig = signingConfigs.getByName("debug")
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

/** The repository's models as assets, NAME.safetensors each. */
abstract class CopyModels : DefaultTask() {
    @get:InputFiles
    abstract val models: ConfigurableFileCollection

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @TaskAction
    fun copy() = models.forEach { it.copyTo(assets.file("${it.parentFile.name}.safetensors").get().asFile, overwrite = true) }
}

val copyModels by tasks.registering(CopyModels::class) {
    models.from(listOf("sudoku-9x9", "maze-10x10").map { rootDir.resolve("../models/$it/model.safetensors") })
}
androidComponents {
    onVariants { it.sources.assets?.addGeneratedSourceDirectory(copyModels, CopyModels::assets) }
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
