import CTrm

/// The state of a puzzle after a refinement step.
public struct Step: Sendable, Equatable {
    /// Number of this step, from 1.
    public let number: Int
    /// Current answer in the form of the puzzle: plain text for plain text, else JSON.
    public let text: String
    /// Current answer as tokens, one per cell, row by row.
    public let tokens: [Int]
    /// Indices, from 0, of the cells that this step changed. The first step is compared with the
    /// puzzle.
    public let changed: [Int]
    /// The halting head's estimate, from 0 to 1, that the answer is correct.
    public let haltProbability: Double
    /// The final answer, in the last step only. Otherwise nil.
    public internal(set) var answer: Answer?

    init(_ step: trm_step) {
        number = Int(step.step)
        text = String(cString: step.answer)
        tokens = ints(step.tokens, step.token_count)
        changed = ints(step.changed, step.changed_count)
        haltProbability = Double(step.halt_probability)
    }
}

/// The final answer to a puzzle.
public struct Answer: Sendable, Equatable {
    /// Answer in the form of the puzzle: plain text for plain text, else JSON.
    public let text: String
    /// Answer as tokens, one per cell, row by row.
    public let tokens: [Int]
    /// Whether the answer keeps the puzzle's rules. Nil if this cannot be checked.
    public let isValid: Bool?
    /// Readable reason why the answer is not valid. Otherwise nil.
    public let reason: String?
    /// Mazes: whether the path is a shortest one. Other tasks: nil.
    public let isShortest: Bool?
    /// Whether the answer equals the solution that came with the puzzle. Nil if the puzzle had no
    /// solution.
    public let isCorrect: Bool?
    /// Number of refinement steps that ran.
    public let steps: Int
    /// True if the halting rule ended the puzzle, false if it reached ``TrmOptions/maxSteps``.
    public let halted: Bool
    /// Halting probability after the last step.
    public let haltProbability: Double
    /// The halting head's logit after the last step.
    public let haltLogit: Double
    /// The puzzle's task. Nil for a task that this version does not know.
    public let task: TrmOptions.TaskKind?
    /// The device that computed the answer: "cpu" or "gpu".
    public let device: String
    /// Time from the start of the first step to the end of the last.
    public let time: Duration

    init(_ record: trm_answer_record) {
        text = String(cString: record.answer)
        tokens = ints(record.tokens, record.token_count)
        isValid = optionalBool(record.valid)
        reason = record.why.map { String(cString: $0) }
        isShortest = optionalBool(record.shortest)
        isCorrect = optionalBool(record.correct)
        steps = Int(record.steps)
        halted = record.halted
        haltProbability = Double(record.halt_probability)
        haltLogit = Double(record.q_halt)
        task = TrmOptions.TaskKind(rawValue: String(cString: record.task))
        device = String(cString: record.device)
        time = .milliseconds(record.milliseconds)
    }
}

private func ints(_ start: UnsafePointer<UInt32>?, _ count: Int) -> [Int] {
    UnsafeBufferPointer(start: start, count: count).map(Int.init)
}

/// Converts a `trm_truth`. Unknown becomes nil.
private func optionalBool(_ truth: trm_truth) -> Bool? {
    truth == TRM_TRUTH_UNKNOWN ? nil : truth == TRM_TRUTH_YES
}
