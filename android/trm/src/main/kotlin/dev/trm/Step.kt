package dev.trm

import kotlin.time.Duration

/**
 * The state of a puzzle after a refinement step.
 *
 * @property number Number of this step, from 1.
 * @property text Current answer in the form of the puzzle: plain text for plain text, else JSON.
 * @property tokens Current answer as tokens, one per cell, row by row.
 * @property changed Indices, from 0, of the cells that this step changed. The first step is
 *   compared with the puzzle.
 * @property haltProbability The halting head's estimate, from 0 to 1, that the answer is correct.
 * @property answer The final answer, in the last step only. Otherwise null.
 */
public data class Step(
    val number: Int,
    val text: String,
    val tokens: List<Int>,
    val changed: List<Int>,
    val haltProbability: Double,
    val answer: Answer? = null,
)

/**
 * The final answer to a puzzle.
 *
 * @property text Answer in the form of the puzzle: plain text for plain text, else JSON.
 * @property tokens Answer as tokens, one per cell, row by row.
 * @property isValid Whether the answer keeps the puzzle's rules. Null if this cannot be checked.
 * @property reason Readable reason why the answer is not valid. Otherwise null.
 * @property isShortest Mazes: whether the path is a shortest one. Other tasks: null.
 * @property isCorrect Whether the answer equals the solution that came with the puzzle. Null if the
 *   puzzle had no solution.
 * @property steps Number of refinement steps that ran.
 * @property halted True if the halting rule ended the puzzle, false if it reached
 *   [TrmOptions.maxSteps].
 * @property haltProbability Halting probability after the last step.
 * @property haltLogit The halting head's logit after the last step.
 * @property task The puzzle's task. Null for a task that this version does not know.
 * @property device The device that computed the answer: "cpu" or "gpu".
 * @property time Time from the start of the first step to the end of the last.
 */
public data class Answer(
    val text: String,
    val tokens: List<Int>,
    val isValid: Boolean?,
    val reason: String?,
    val isShortest: Boolean?,
    val isCorrect: Boolean?,
    val steps: Int,
    val halted: Boolean,
    val haltProbability: Double,
    val haltLogit: Double,
    val task: TrmOptions.TaskKind?,
    val device: String,
    val time: Duration,
)
