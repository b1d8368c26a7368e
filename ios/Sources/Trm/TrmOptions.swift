import CTrm
import Foundation

/// How a solver works. What is nil is left to the library.
public struct TrmOptions: Sendable {
    /// What a model runs on.
    public enum Device: String, Sendable, CaseIterable {
        /// The GPU where a short measurement finds it faster for the model, otherwise the CPU.
        case auto
        /// The CPU.
        case cpu
        /// The GPU; the simulator and the device have one.
        case gpu
    }

    /// What a puzzle is.
    public enum Kind: String, Sendable, CaseIterable {
        /// A Sudoku.
        case sudoku
        /// A maze.
        case maze
        /// A task of ARC.
        case arc
        /// Raw tokens.
        case tokens
    }

    /// A number format of weights.
    public enum Format: String, Sendable, CaseIterable {
        /// 32 bits.
        case f32
        /// 16 bits, half precision.
        case f16
        /// 16 bits, bfloat.
        case bf16
        /// Bytes, with a scale for each row.
        case int8
    }

    /// Who decides that a puzzle is done.
    public enum Halt: String, Sendable, CaseIterable {
        /// The model's halting head, believed only if its answer keeps the puzzle's rules.
        case verified
        /// The model's halting head.
        case head
        /// Nobody: always ``TrmOptions/maxSteps``.
        case never
    }

    /// What the model runs on.
    public var device = Device.auto
    /// A folder for what ``Device/auto`` measures, so that it is measured once: `URL.cachesDirectory` is a good one. Nowhere if nil.
    public var cacheFolder: URL?
    /// What the puzzles are; the model's own kind if nil.
    public var kind: Kind?
    /// How the weights of the model's blocks are stored; `int8` if the file has them so, else `f32`, if nil.
    public var format: Format?
    /// Who decides that a puzzle is done.
    public var halt = Halt.verified
    /// The head says "halt" above this probability; 0.5 if nil.
    public var haltThreshold: Double?
    /// Threads of the CPU; one for each core if nil.
    public var threads: Int?
    /// No puzzle is done before this many steps; 1 if nil.
    public var minSteps: Int?
    /// Every puzzle ends after this many steps; as many as the model was trained for if nil.
    public var maxSteps: Int?
    /// How long a puzzle may take; as long as it takes if nil.
    public var timeLimit: Duration?

    /// Leaves everything to the library.
    public init() {}
}

extension TrmOptions {
    /// Calls `body` with these options as C has them, where 0 and null stand for nil.
    func withNative<Result>(_ body: (UnsafePointer<trm_options>) throws -> Result) throws -> Result {
        var texts: [UnsafeMutablePointer<CChar>] = []
        defer { texts.forEach { free($0) } }
        func text(_ value: String?) -> UnsafePointer<CChar>? {
            guard let copy = value.map({ strdup($0)! }) else { return nil }
            texts.append(copy)
            return UnsafePointer(copy)
        }
        func count(_ value: Int?, _ name: String) throws -> UInt32 {
            guard let value else { return 0 }
            guard value > 0, let count = UInt32(exactly: value) else {
                throw TrmError.option("\(name) is \(value): give a number from 1 to \(UInt32.max), or nil")
            }
            return count
        }
        let haltThreshold = haltThreshold.map { Float($0) }
        guard haltThreshold != 0 else {
            throw TrmError.option("haltThreshold is 0: give a probability above it, or nil")
        }
        var options = trm_options()
        options.size = MemoryLayout<trm_options>.size
        options.device = text(device.rawValue)
        options.cache_dir = text(cacheFolder?.path)
        options.task = text(kind?.rawValue)
        options.dtype = text(format?.rawValue)
        options.halt = text(halt.rawValue)
        options.halt_threshold = haltThreshold ?? 0
        options.threads = try count(threads, "threads")
        options.min_steps = try count(minSteps, "minSteps")
        options.max_steps = try count(maxSteps, "maxSteps")
        let milliseconds = timeLimit.map { Int(exactly: ($0 / .milliseconds(1)).rounded(.up)) ?? .max }
        options.time_limit_ms = try count(milliseconds, "timeLimit in ms")
        return try body(&options)
    }
}
