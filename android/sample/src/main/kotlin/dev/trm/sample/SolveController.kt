package dev.trm.sample

import dev.trm.Step
import dev.trm.TrmException
import dev.trm.TrmSolver
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/**
 * The UI state.
 *
 * @property steps The refinement steps so far, from step 1.
 * @property shownStep Number of the step on the screen. 0 = the puzzle itself.
 * @property isSolving Whether more steps follow.
 * @property error Readable error message, or null.
 */
data class SolveState(
    val kind: PuzzleKind,
    val puzzle: String = kind.examples.first(),
    val steps: List<Step> = listOf(),
    val shownStep: Int = 0,
    val isSolving: Boolean = false,
    val error: String? = null,
) {
    val step: Step? get() = steps.getOrNull(shownStep - 1)
    val cells: List<Cell> get() = kind.cells(puzzle, step)

    /** One line of status text. */
    val summary: String
        get() {
            val answer = steps.lastOrNull()?.answer
            return when {
                error != null -> error
                isSolving -> "Solving…"
                steps.isEmpty() -> "Ready"
                answer == null -> "Stopped after ${countSteps(steps.size)}"
                answer.isValid == false ->
                    "Not solved after ${countSteps(answer.steps)}: ${answer.reason}"
                answer.isShortest == false ->
                    "A path, but not the shortest, after ${countSteps(answer.steps)}"
                else -> {
                    val time = "${answer.time.inWholeMilliseconds} ms"
                    "Solved after ${countSteps(answer.steps)}, $time on the ${answer.device}"
                }
            }
        }

    /** Adds a step. It is shown unless the user is looking at an older one. */
    fun plus(step: Step): SolveState = copy(
        steps = steps + step,
        shownStep = if (shownStep == steps.size) shownStep + 1 else shownStep,
    )

    private fun countSteps(steps: Int) = if (steps == 1) "1 step" else "$steps steps"
}

/**
 * Solves one puzzle at a time and publishes every step.
 *
 * @param scope The scope of all work. Call all functions on its single thread.
 * @param open Opens the model for a kind of puzzle. It may block.
 */
class SolveController(
    private val scope: CoroutineScope, private val open: (PuzzleKind) -> TrmSolver,
) {
    private val mutableState = MutableStateFlow(SolveState(PuzzleKind.Sudoku))
    private var job: Job? = null
    private var solver: Pair<PuzzleKind, TrmSolver>? = null
    private var closed = false

    val state: StateFlow<SolveState> = mutableState.asStateFlow()

    /** Stops solving and shows a puzzle. */
    fun select(kind: PuzzleKind, puzzle: String = kind.examples.first()) {
        stop()
        mutableState.value = SolveState(kind, puzzle)
    }

    /** Like [select], with a text that the user typed. */
    fun enter(text: String) {
        val kind = mutableState.value.kind
        try {
            select(kind, kind.parse(text))
        } catch (e: IllegalArgumentException) {
            stop()
            mutableState.update { it.copy(error = e.message) }
        }
    }

    /** Starts solving the puzzle, from the beginning. */
    fun start() {
        val previous = job
        val start = SolveState(mutableState.value.kind, mutableState.value.puzzle, isSolving = true)
        mutableState.value = start
        job = scope.launch {
            previous?.cancelAndJoin()
            try {
                solverFor(start.kind).steps(start.puzzle).collect { step ->
                    mutableState.update { it.plus(step) }
                }
            } catch (e: TrmException) {
                mutableState.update { it.copy(error = e.message) }
            }
            // Not reached if the job is cancelled. stop() has updated the state then.
            mutableState.update { it.copy(isSolving = false) }
        }
    }

    /** Stops solving. The steps so far stay on the screen. */
    fun stop() {
        job?.cancel()
        mutableState.update { it.copy(isSolving = false) }
    }

    /** Shows a step by its number. 0 = the puzzle itself. */
    fun showStep(number: Int): Unit =
        mutableState.update { it.copy(shownStep = number.coerceIn(0, it.steps.size)) }

    /** Stops solving and frees the model. Do not call other functions afterwards. */
    fun close() {
        stop()
        closed = true
        solver?.second?.close()
        solver = null
    }

    private suspend fun solverFor(kind: PuzzleKind): TrmSolver {
        solver?.let { (current, opened) ->
            if (current == kind) return opened
            opened.close()
            solver = null
        }
        // Must not be cancelled between opening the solver and storing it.
        return withContext(NonCancellable) {
            val opened = withContext(Dispatchers.IO) { open(kind) }
            if (closed) opened.close() else solver = kind to opened
            opened
        }
    }
}
