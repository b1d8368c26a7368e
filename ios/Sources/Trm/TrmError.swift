import CTrm
import Foundation

/// An error of the library. The message says what is wrong and where.
public enum TrmError: Error, Equatable, Sendable {
    /// A file cannot be opened or read.
    case file(String)
    /// A model file is damaged, malicious, or in an unsupported format.
    case model(String)
    /// A hyper-parameter of the model is missing, contradictory or out of range.
    case configuration(String)
    /// A puzzle cannot be parsed, contradicts itself, or does not fit this model.
    case puzzle(String)
    /// A device is not available or failed.
    case device(String)
    /// An option or another argument is out of range.
    case argument(String)
    /// The time limit expired.
    case timeLimit(String)
    /// The solver was closed.
    case closed
    /// A bug in the library. Please report it, and do not use the solver again.
    case bug(String)

    /// Readable error message.
    public var message: String {
        switch self {
        case .file(let text), .model(let text), .configuration(let text), .puzzle(let text),
            .device(let text), .argument(let text), .timeLimit(let text), .bug(let text):
            text
        case .closed: "the solver was closed"
        }
    }

    /// Creates the error of a status. Returns nil for `TRM_STATUS_OK`.
    init?(_ status: trm_status, _ text: @autoclosure () -> String) {
        switch status {
        case TRM_STATUS_OK: return nil
        case TRM_STATUS_IO: self = .file(text())
        case TRM_STATUS_CHECKPOINT: self = .model(text())
        case TRM_STATUS_CONFIG: self = .configuration(text())
        case TRM_STATUS_PUZZLE: self = .puzzle(text())
        case TRM_STATUS_DEVICE: self = .device(text())
        case TRM_STATUS_ARGUMENT: self = .argument(text())
        case TRM_STATUS_DEADLINE: self = .timeLimit(text())
        // Only a closed solver has an invalid handle. `solve` turns this error into a
        // CancellationError if its task was cancelled.
        case TRM_STATUS_CANCELLED, TRM_STATUS_HANDLE: self = .closed
        default: self = .bug(text())
        }
    }
}

extension TrmError: LocalizedError, CustomStringConvertible {
    public var errorDescription: String? { message }
    public var description: String { message }
}
