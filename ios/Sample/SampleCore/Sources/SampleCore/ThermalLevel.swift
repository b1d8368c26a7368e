/// How hot the phone is, in what follows from it for thinking.
public enum Heat: Sendable, Equatable {
    /// It may think as long as the model likes.
    case cool
    /// It may think shortly.
    case warm
    /// It must not think.
    case hot

    /// The most steps of a puzzle; as many as the model was trained for if nil.
    var maxSteps: Int? { self == .cool ? nil : 4 }
}
