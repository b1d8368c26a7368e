import XCTest

/// Checks Sample.xcodeproj, which is written by hand. Xcode is not available to open it.
final class ProjectTests: XCTestCase {
    /// This file is ios/Sample/SampleCore/Tests/SampleCoreTests/ProjectTests.swift.
    private let sample = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }

    func testEveryObjectIsReachableAndEveryReferenceValid() throws {
        let file = sample.appendingPathComponent("Sample.xcodeproj/project.pbxproj")
        let project = try XCTUnwrap(
            PropertyListSerialization.propertyList(from: Data(contentsOf: file), format: nil)
                as? [String: Any])
        let objects = try XCTUnwrap(project["objects"] as? [String: [String: Any]])

        var reached: Set<String> = []
        var next = [try XCTUnwrap(project["rootObject"] as? String)]
        while let id = next.popLast() {
            guard reached.insert(id).inserted else { continue }
            let object = try XCTUnwrap(objects[id], "no object \(id)")
            XCTAssertNotNil(object["isa"], id)
            next += strings(in: object).filter(isId)
        }
        XCTAssertEqual(reached, Set(objects.keys))
    }

    func testEveryPathExists() throws {
        let file = sample.appendingPathComponent("Sample.xcodeproj/project.pbxproj")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        let paths = lines.compactMap { line in
            ["path = ", "relativePath = "].compactMap { line.firstRange(of: "\t" + $0) }.first
                .map { line[$0.upperBound...].dropLast() }
        }
        XCTAssertEqual(
            Set(paths), ["App", "../../models", "Sample.app", "Sample.xcconfig", "SampleCore"])
        for path in paths where path != "Sample.app" {
            let file = sample.appendingPathComponent(String(path)).path
            XCTAssert(FileManager.default.fileExists(atPath: file), file)
        }
    }

    /// Returns all strings of a property list, without its keys.
    private func strings(in value: Any) -> [String] {
        switch value {
        case let text as String: [text]
        case let list as [Any]: list.flatMap(strings)
        case let fields as [String: Any]: fields.values.flatMap(strings)
        default: []
        }
    }

    private func isId(_ text: String) -> Bool { text.count == 24 && text.allSatisfy(\.isHexDigit) }
}
