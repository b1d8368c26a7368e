// swift-tools-version: 6.0
import PackageDescription

#if os(Linux)
// For the tests on Linux. Sources/CTrm is a link to `include/`, and test.sh passes the folder of
// libtrm_runtime.so to the linker.
let library = Target.systemLibrary(name: "CTrm")
#else
// build-xcframework.sh builds it.
let library = Target.binaryTarget(name: "CTrm", path: "Trm.xcframework")
#endif

let package = Package(
    name: "Trm",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Trm", targets: ["Trm"])],
    targets: [
        library,
        .target(
            name: "Trm",
            dependencies: ["CTrm"],
            resources: [.copy("PrivacyInfo.xcprivacy")],
            linkerSettings: [
                .linkedLibrary("trm_runtime", .when(platforms: [.linux])),
                .linkedFramework("Metal", .when(platforms: [.iOS, .macOS])),
                .linkedFramework("QuartzCore", .when(platforms: [.iOS, .macOS])),
                .linkedFramework("CoreGraphics", .when(platforms: [.iOS, .macOS])),
                .linkedFramework("Foundation", .when(platforms: [.iOS, .macOS])),
            ]
        ),
        .testTarget(name: "TrmTests", dependencies: ["Trm"]),
    ],
    swiftLanguageModes: [.v6]
)
