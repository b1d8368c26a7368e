import CTrm
import Foundation

/// What went wrong, with a text for people.
public enum TrmError: Error, Equatable, Sendable {
    /// A file could not be opened or read.
    case file(String)
    /// A model file is damaged, hostile, or in a form that is not supported.
    case model(String)
    /// A hyper-parameter of the model is missing, contradictory or out of range.
    case configuration(String)
    /// A puzzle cannot be read, or is impossible, or is none for this model.
    case puzzle(String)
    /// A device is not available, or failed.
    case device(String)
    /// An option is out of range.
    case option(String)
    /// The time limit passed.
    case timeLimit(String)
    /// The solver was closed.
    case closed
    /// A bug of the library: please report it. Better do not use the solver further.
    case bug(String)

    /// What went wrong, and what to do.
    public var message: String {
        switch self {
        case .file(let text), .model(let text), .configuration(let text), .puzzle(let text), .device(let text),
            .option(let text), .timeLimit(let text), .bug(let text):
            text
        case .closed: "the solver was closed"
        }
    }

    /// Nil if nothing went wrong.
    init?(_ status: trm_status, _ text: @autoclosure () -> String) {
        switch status {
        case TRM_STATUS_OK: return nil
        case TRM_STATUS_IO: self = .file(text())
        case TRM_STATUS_CHECKPOINT: self = .model(text())
        case TRM_STATUS_CONFIG: self = .configuration(text())
        case TRM_STATUS_PUZZLE: self = .puzzle(text())
        case TRM_STATUS_DEVICE: self = .device(text())
        case TRM_STATUS_ARGUMENT: self = .option(text())
        case TRM_STATUS_DEADLINE: self = .timeLimit(text())
        // Nobody but a closed solver has a handle that is none; who cancelled a task knows it.
        case TRM_STATUS_CANCELLED, TRM_STATUS_HANDLE: self = .closed
        default: self = .bug(text())
        }
    }
}

extension TrmError: LocalizedError, CustomStringConvertible {
    public var errorDescription: String? { message }
    public var description: String { message }
}
