package dev.trm

/** An error of the library. The message says what is wrong and where. */
public sealed class TrmException(message: String) : Exception(message) {
    /** A file cannot be opened or read. */
    public class File(message: String) : TrmException(message)

    /** A model file is damaged, malicious, or in an unsupported format. */
    public class Model(message: String) : TrmException(message)

    /** A hyper-parameter of the model is missing, contradictory or out of range. */
    public class Configuration(message: String) : TrmException(message)

    /** A puzzle cannot be parsed, contradicts itself, or does not fit this model. */
    public class Puzzle(message: String) : TrmException(message)

    /** A device is not available or failed. */
    public class Device(message: String) : TrmException(message)

    /** An option or another argument is out of range. */
    public class Argument(message: String) : TrmException(message)

    /** The time limit expired. */
    public class TimeLimit(message: String) : TrmException(message)

    /** The solver was closed. */
    public class Closed(message: String = "the solver was closed") : TrmException(message)

    /** A bug in the library. Please report it, and do not use the solver again. */
    public class Bug(message: String) : TrmException(message)

    internal companion object {
        /** Returns the exception for a `trm_status` other than OK. */
        fun of(status: Int, message: String): TrmException = when (status) {
            1 -> File(message)
            2 -> Model(message)
            3 -> Configuration(message)
            4 -> Puzzle(message)
            5 -> Device(message)
            6 -> Argument(message)
            8 -> TimeLimit(message)
            // Only a closed solver has an invalid handle. A cancelled coroutine does not receive
            // this exception: it has its CancellationException already.
            7, 9 -> Closed()
            else -> Bug(message)
        }
    }
}
