// swift-tools-version: 6.0
import PackageDescription

// The parts of the sample that do not use SwiftUI, so that they compile and are tested on Linux,
// too. They are a package of their own: apps that use Trm do not get them.
let package = Package(
    name: "SampleCore",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "SampleCore", targets: ["SampleCore"])],
    dependencies: [.package(path: "../..")],
    targets: [
        .target(name: "SampleCore", dependencies: [.product(name: "Trm", package: "ios")]),
        .testTarget(name: "SampleCoreTests", dependencies: ["SampleCore"]),
    ],
    swiftLanguageModes: [.v6]
)
