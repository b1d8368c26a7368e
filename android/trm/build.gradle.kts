plugins {
    alias(libs.plugins.android.library)
    `maven-publish`
}

android {
    namespace = "dev.trm"
    compileSdk = 36
    ndkVersion = "28.2.13676358"

    defaultConfig {
        minSdk = 24
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    publishing {
        singleVariant("release") {
            withSourcesJar()
        }
    }
}

kotlin {
    explicitApi()
}

dependencies {
    // `api`, because Flow is part of the public interface.
    api(libs.coroutines.core)
}

// Builds libtrm_jni.so for every ABI into src/main/jniLibs. Cargo rebuilds only after changes.
val buildNative by tasks.registering(Exec::class) {
    commandLine(rootDir.resolve("build-native.sh").path)
}
tasks.named("preBuild") {
    dependsOn(buildNative)
}

publishing {
    publications {
        register<MavenPublication>("release") {
            groupId = "dev.trm"
            artifactId = "trm"
            version = "0.1.0"
            afterEvaluate {
                from(components["release"])
            }
        }
    }
}
