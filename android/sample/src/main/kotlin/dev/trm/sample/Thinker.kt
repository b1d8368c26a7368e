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
 * All that the screen shows.
 *
 * @property steps What the model thought, from step 1.
 * @property shown How many of the steps are shown: 0 is the puzzle as it was given.
 * @property thinks Whether it goes on.
 * @property error What went wrong, for people.
 */
data class Thinking(
    val game: Game,
    val puzzle: String = game.examples.first(),
    val steps: List<Step> = listOf(),
    val shown: Int = 0,
    val thinks: Boolean = false,
    val error: String? = null,
) {
    val step: Step? get() = steps.getOrNull(shown - 1)
    val cells: List<Cell> get() = game.cells(puzzle, step)

    /** In a line. */
    val said: String
        get() {
            val answer = steps.lastOrNull()?.answer
            return when {
                error != null -> error
                thinks -> "Thinking…"
                steps.isEmpty() -> "Ready"
                answer == null -> "Stopped after ${count(steps.size)}"
                answer.isValid == false -> "Not solved after ${count(answer.steps)}: ${answer.why}"
                answer.isShortest == false -> "A way, but no shortest one, after ${count(answer.steps)}"
                else -> "Solved after ${count(answer.steps)}, ${answer.time.inWholeMilliseconds} ms on the ${answer.device}"
            }
        }

    /** A new step is shown, unless an older one is looked at. */
    fun plus(step: Step): Thinking = copy(steps = steps + step, shown = if (shown == steps.size) shown + 1 else shown)

    private fun count(steps: Int) = if (steps == 1) "1 step" else "$steps steps"
}

/**
 * Lets a model think, a puzzle at a time.
 *
 * @param scope Where it lives; all functions are called from its one thread.
 * @param open Opens the model of a game; it may block.
 */
class Thinker(private val scope: CoroutineScope, private val open: (Game) -> TrmSolver) {
    private val state = MutableStateFlow(Thinking(Game.Sudoku))
    private var work: Job? = null
    private var solver: Pair<Game, TrmSolver>? = null
    private var closed = false

    val thinking: StateFlow<Thinking> = state.asStateFlow()

    /** Shows a puzzle, and thinks of it no more. */
    fun choose(game: Game, puzzle: String = game.examples.first()) {
        stop()
        state.value = Thinking(game, puzzle)
    }

    /** As [choose], of what a person wrote. */
    fun enter(text: String) {
        val game = state.value.game
        try {
            choose(game, game.parse(text))
        } catch (e: IllegalArgumentException) {
            stop()
            state.update { it.copy(error = e.message) }
        }
    }

    fun start() {
        val before = work
        val start = Thinking(state.value.game, state.value.puzzle, thinks = true)
        state.value = start
        work = scope.launch {
            before?.cancelAndJoin()
            try {
                solverOf(start.game).steps(start.puzzle).collect { step -> state.update { it.plus(step) } }
            } catch (e: TrmException) {
                state.update { it.copy(error = e.message) }
            }
            // Who cancelled it has said so already.
            state.update { it.copy(thinks = false) }
        }
    }

    fun stop() {
        work?.cancel()
        state.update { it.copy(thinks = false) }
    }

    fun show(step: Int): Unit = state.update { it.copy(shown = step.coerceIn(0, it.steps.size)) }

    /** Nothing is called afterwards. */
    fun close() {
        stop()
        closed = true
        solver?.second?.close()
        solver = null
    }

    private suspend fun solverOf(game: Game): TrmSolver {
        solver?.let { (of, open) ->
            if (of == game) return open
            open.close()
            solver = null
        }
        // Not to be cancelled between opening and keeping.
        return withContext(NonCancellable) {
            val opened = withContext(Dispatchers.IO) { open(game) }
            if (closed) opened.close() else solver = game to opened
            opened
        }
    }
}
