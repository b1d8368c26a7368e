/// How hot the phone is, in three levels with different limits for solving.
public enum ThermalLevel: Sendable, Equatable {
    /// No limit.
    case cool
    /// Only a few steps.
    case warm
    /// No solving.
    case hot

    /// Maximum number of steps for a puzzle. Nil = the number that the model was trained with.
    var maxSteps: Int? { self == .cool ? nil : 4 }
}
