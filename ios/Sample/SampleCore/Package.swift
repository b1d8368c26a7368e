// swift-tools-version: 6.0
import PackageDescription

// What the sample does without SwiftUI, so that it is compiled and tested on Linux too. A package of its own: apps that use Trm do not get it.
let package = Package(
    name: "Thinking",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "Thinking", targets: ["Thinking"])],
    dependencies: [.package(path: "../..")],
    targets: [
        .target(name: "Thinking", dependencies: [.product(name: "Trm", package: "ios")]),
        .testTarget(name: "ThinkingTests", dependencies: ["Thinking"]),
    ],
    swiftLanguageModes: [.v6]
)
