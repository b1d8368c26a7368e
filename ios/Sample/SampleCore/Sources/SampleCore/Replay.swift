/// The steps so far, and which of them is looked at.
public struct Replay: Sendable, Equatable {
    /// The steps, in their order.
    public private(set) var frames: [Frame] = []
    /// What a person chose; the newest if nil.
    private var chosen: Int?

    init() {}

    /// Which of ``frames`` is looked at; 0 if there are none. Whoever goes to the newest follows those to come.
    public var position: Int {
        get { chosen ?? max(frames.count - 1, 0) }
        set { chosen = newValue >= frames.count - 1 ? nil : max(newValue, 0) }
    }

    /// What is looked at; nil before the first step.
    public var frame: Frame? { frames.isEmpty ? nil : frames[position] }

    mutating func add(_ frame: Frame) { frames.append(frame) }
}
