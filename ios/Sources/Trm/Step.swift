import CTrm

/// A puzzle after a refinement step.
public struct Step: Sendable, Equatable {
    /// Steps taken, from 1.
    public let number: Int
    /// The answer as it stands, in the form of the puzzle: plain text as it was given, otherwise JSON.
    public let text: String
    /// The answer as it stands: a token for each cell, row by row.
    public let tokens: [Int]
    /// The cells that the step changed, counted from 0; in the first step, those that differ from the puzzle.
    public let changed: [Int]
    /// What the model says: the probability that the answer is right.
    public let haltProbability: Double
    /// How the puzzle ended, in the last step; nil before.
    public internal(set) var answer: Answer?

    init(_ step: trm_step) {
        number = Int(step.step)
        text = String(cString: step.answer)
        tokens = numbers(step.tokens, step.token_count)
        changed = numbers(step.changed, step.changed_count)
        haltProbability = Double(step.halt_probability)
    }
}

/// How a puzzle ended.
public struct Answer: Sendable, Equatable {
    /// The answer, in the form of the puzzle: plain text as it was given, otherwise JSON.
    public let text: String
    /// The answer: a token for each cell, row by row.
    public let tokens: [Int]
    /// Whether it keeps the puzzle's rules; nil where nobody can tell.
    public let isValid: Bool?
    /// What is wrong with it, for people; nil if nothing is, or nobody can tell.
    public let why: String?
    /// Mazes: whether the path is a shortest one; nil elsewhere.
    public let isShortest: Bool?
    /// Whether it equals the solution that came with the puzzle; nil if none came.
    public let isCorrect: Bool?
    /// Steps taken.
    public let steps: Int
    /// Whether the model halted by itself; otherwise it ran into the last step.
    public let halted: Bool
    /// What the model says at the end: the probability that the answer is right.
    public let haltProbability: Double
    /// The halting head's logit at the end.
    public let haltLogit: Double
    /// What the puzzle is; nil for a kind that this version does not know.
    public let kind: TrmOptions.Kind?
    /// What computed it: "cpu", "gpu".
    public let device: String
    /// How long it took, from the first step to the last.
    public let time: Duration

    init(_ answer: trm_answer_record) {
        text = String(cString: answer.answer)
        tokens = numbers(answer.tokens, answer.token_count)
        isValid = known(answer.valid)
        why = answer.why.map { String(cString: $0) }
        isShortest = known(answer.shortest)
        isCorrect = known(answer.correct)
        steps = Int(answer.steps)
        halted = answer.halted
        haltProbability = Double(answer.halt_probability)
        haltLogit = Double(answer.q_halt)
        kind = TrmOptions.Kind(rawValue: String(cString: answer.task))
        device = String(cString: answer.device)
        time = .milliseconds(answer.milliseconds)
    }
}

private func numbers(_ start: UnsafePointer<UInt32>?, _ count: Int) -> [Int] {
    UnsafeBufferPointer(start: start, count: count).map(Int.init)
}

private func known(_ truth: trm_truth) -> Bool? {
    truth == TRM_TRUTH_UNKNOWN ? nil : truth == TRM_TRUTH_YES
}
