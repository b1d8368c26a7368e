import CTrm
import Foundation

/// Options of a solver. Nil selects the default.
public struct TrmOptions: Sendable {
    /// The device that runs a model.
    public enum Device: String, Sendable, CaseIterable {
        /// The GPU if a short measurement shows that it is faster for the model, else the CPU.
        case auto
        /// The CPU.
        case cpu
        /// The GPU. The simulator has one, too.
        case gpu
    }

    /// The task of a puzzle.
    public enum TaskKind: String, Sendable, CaseIterable {
        /// Sudoku.
        case sudoku
        /// Maze.
        case maze
        /// ARC.
        case arc
        /// Raw tokens.
        case tokens
    }

    /// The dtype of weights.
    public enum WeightDtype: String, Sendable, CaseIterable {
        /// 32-bit floating point.
        case f32
        /// 16-bit floating point (IEEE half precision).
        case f16
        /// 16-bit floating point (bfloat16).
        case bf16
        /// 8-bit integers with one scale per row.
        case int8
    }

    /// When a puzzle halts.
    public enum HaltRule: String, Sendable, CaseIterable {
        /// When the halting probability is above ``TrmOptions/haltThreshold`` and the answer is
        /// valid.
        case verified
        /// When the halting probability is above ``TrmOptions/haltThreshold``.
        case head
        /// Never: every puzzle runs ``TrmOptions/maxSteps`` steps.
        case never
    }

    /// The device that runs the model.
    public var device = Device.auto
    /// Folder that keeps the measurements of ``Device/auto``, so that they run once, for example
    /// `URL.cachesDirectory`. Default: not kept.
    public var cacheDirectory: URL?
    /// The task of the puzzles. Default: the model's own task.
    public var task: TaskKind?
    /// Dtype of the weights in the model's blocks. Default: ``WeightDtype/int8`` if the file stores
    /// them as int8, else ``WeightDtype/f32``.
    public var dtype: WeightDtype?
    /// When a puzzle halts.
    public var halt = HaltRule.verified
    /// Threshold of the halting probability, for ``halt``. Default: 0.5.
    public var haltThreshold: Double?
    /// Number of CPU threads. Default: one per core.
    public var threads: Int?
    /// Minimum number of refinement steps for each puzzle. Default: 1.
    public var minSteps: Int?
    /// Maximum number of refinement steps for each puzzle. Default: the number of steps that the
    /// model was trained with.
    public var maxSteps: Int?
    /// Maximum time for each puzzle. Default: no limit.
    public var timeLimit: Duration?

    /// Creates options that are all defaults.
    public init() {}
}

extension TrmOptions {
    /// Calls `body` with these options as a C struct, in which 0 and null stand for nil.
    func withNative<Result>(
        _ body: (UnsafePointer<trm_options>) throws -> Result
    ) throws -> Result {
        var strings: [UnsafeMutablePointer<CChar>] = []
        defer { strings.forEach { free($0) } }
        func string(_ value: String?) -> UnsafePointer<CChar>? {
            guard let copy = value.map({ strdup($0)! }) else { return nil }
            strings.append(copy)
            return UnsafePointer(copy)
        }
        func positive(_ value: Int?, _ name: String) throws -> UInt32 {
            guard let value else { return 0 }
            guard value > 0, let number = UInt32(exactly: value) else {
                throw TrmError.argument(
                    "\(name) is \(value); expected a number from 1 to \(UInt32.max), or nil")
            }
            return number
        }
        let haltThreshold = haltThreshold.map { Float($0) }
        guard haltThreshold != 0 else {
            throw TrmError.argument("haltThreshold is 0; expected a number above 0, or nil")
        }
        var options = trm_options()
        options.size = MemoryLayout<trm_options>.size
        options.device = string(device.rawValue)
        options.cache_dir = string(cacheDirectory?.path)
        options.task = string(task?.rawValue)
        options.dtype = string(dtype?.rawValue)
        options.halt = string(halt.rawValue)
        options.halt_threshold = haltThreshold ?? 0
        options.threads = try positive(threads, "threads")
        options.min_steps = try positive(minSteps, "minSteps")
        options.max_steps = try positive(maxSteps, "maxSteps")
        let milliseconds = timeLimit.map {
            Int(exactly: ($0 / .milliseconds(1)).rounded(.up)) ?? .max
        }
        options.time_limit_ms = try positive(milliseconds, "timeLimit in ms")
        return try body(&options)
    }
}
