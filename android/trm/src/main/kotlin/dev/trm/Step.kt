package dev.trm

import kotlin.time.Duration

/**
 * A puzzle after a refinement step.
 *
 * @property number Steps taken, from 1.
 * @property text The answer as it stands, in the form of the puzzle: plain text as it was given, otherwise JSON.
 * @property tokens The answer as it stands: a token for each cell, row by row.
 * @property changed The cells that the step changed, counted from 0; in the first step, those that differ from the puzzle.
 * @property haltProbability What the model says: the probability that the answer is right.
 * @property answer How the puzzle ended, in the last step; null before.
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
 * How a puzzle ended.
 *
 * @property text The answer, in the form of the puzzle: plain text as it was given, otherwise JSON.
 * @property tokens The answer: a token for each cell, row by row.
 * @property isValid Whether it keeps the puzzle's rules; null where nobody can tell.
 * @property why What is wrong with it, for people; null if nothing is, or nobody can tell.
 * @property isShortest Mazes: whether the path is a shortest one; null elsewhere.
 * @property isCorrect Whether it equals the solution that came with the puzzle; null if none came.
 * @property steps Steps taken.
 * @property halted Whether the model halted by itself; otherwise it ran into the last step.
 * @property haltProbability What the model says at the end: the probability that the answer is right.
 * @property haltLogit The halting head's logit at the end.
 * @property kind What the puzzle is; null for a kind that this version does not know.
 * @property device What computed it: "cpu", "gpu".
 * @property time How long it took, from the first step to the last.
 */
public data class Answer(
    val text: String,
    val tokens: List<Int>,
    val isValid: Boolean?,
    val why: String?,
    val isShortest: Boolean?,
    val isCorrect: Boolean?,
    val steps: Int,
    val halted: Boolean,
    val haltProbability: Double,
    val haltLogit: Double,
    val kind: TrmOptions.Kind?,
    val device: String,
    val time: Duration,
)
