// swift-tools-version: 6.0
import PackageDescription

#if os(Linux)
// The tests here: `include/` by a link; test.sh says where libtrm.so is.
let library = Target.systemLibrary(name: "CTrm")
#else
// What build-xcframework.sh makes.
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
                .linkedLibrary("trm", .when(platforms: [.linux])),
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
