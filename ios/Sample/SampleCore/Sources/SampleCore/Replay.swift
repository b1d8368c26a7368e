/// The steps so far, and the one on the screen.
public struct Replay: Sendable, Equatable {
    /// The steps in order.
    public private(set) var frames: [Frame] = []
    /// The position that the user selected. Nil = follow the newest step.
    private var selected: Int?

    init() {}

    /// The index in ``frames`` of the step on the screen. 0 if there are no steps. Selecting the
    /// newest step also follows those that arrive later.
    public var position: Int {
        get { selected ?? max(frames.count - 1, 0) }
        set { selected = newValue >= frames.count - 1 ? nil : max(newValue, 0) }
    }

    /// The step on the screen. Nil before the first step.
    public var frame: Frame? { frames.isEmpty ? nil : frames[position] }

    mutating func add(_ frame: Frame) { frames.append(frame) }
}
