package dev.trm

/** What went wrong, with a text for people: what it was, and what to do. */
public sealed class TrmException(message: String) : Exception(message) {
    /** A file could not be opened or read. */
    public class File(message: String) : TrmException(message)

    /** A model file is damaged, hostile, or in a form that is not supported. */
    public class Model(message: String) : TrmException(message)

    /** A hyper-parameter of the model is missing, contradictory or out of range. */
    public class Configuration(message: String) : TrmException(message)

    /** A puzzle cannot be read, or is impossible, or is none for this model. */
    public class Puzzle(message: String) : TrmException(message)

    /** A device is not available, or failed. */
    public class Device(message: String) : TrmException(message)

    /** An option is out of range. */
    public class Option(message: String) : TrmException(message)

    /** The time limit passed. */
    public class TimeLimit(message: String) : TrmException(message)

    /** The solver was closed. */
    public class Closed(message: String = "the solver was closed") : TrmException(message)

    /** A bug of the library: please report it. Better do not use the solver further. */
    public class Bug(message: String) : TrmException(message)

    internal companion object {
        /** Of a `trm_status` that is not OK. */
        fun of(status: Int, text: String): TrmException = when (status) {
            1 -> File(text)
            2 -> Model(text)
            3 -> Configuration(text)
            4 -> Puzzle(text)
            5 -> Device(text)
            6 -> Option(text)
            8 -> TimeLimit(text)
            // Nobody but a closed solver has a handle that is none; who cancelled a coroutine is not told more.
            7, 9 -> Closed()
            else -> Bug(text)
        }
    }
}
