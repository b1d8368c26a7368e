package dev.trm.sample

import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.BoxWithConstraints
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.safeDrawingPadding
import androidx.compose.foundation.rememberScrollState
import androidx.compose.foundation.verticalScroll
import androidx.compose.material3.AlertDialog
import androidx.compose.material3.Button
import androidx.compose.material3.FilterChip
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedButton
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Slider
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.semantics.LiveRegionMode
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.liveRegion
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.semantics.stateDescription
import androidx.compose.ui.text.font.FontFamily
import androidx.compose.ui.unit.dp
import kotlin.math.roundToInt

/** Shows the board beside its controls in a wide window, and above them in a tall one. */
@Composable
fun PuzzleScreen(state: SolveState, controller: SolveController) {
    Surface(Modifier.fillMaxSize()) {
        BoxWithConstraints(Modifier.safeDrawingPadding().padding(16.dp)) {
            if (maxWidth > maxHeight) {
                Row(horizontalArrangement = Arrangement.spacedBy(16.dp)) {
                    BoardView(state)
                    Controls(state, controller, Modifier.weight(1f))
                }
            } else {
                Column(verticalArrangement = Arrangement.spacedBy(16.dp)) {
                    BoardView(state, Modifier.fillMaxWidth())
                    Controls(state, controller, Modifier.weight(1f))
                }
            }
        }
    }
}

@Composable
private fun Controls(state: SolveState, controller: SolveController, modifier: Modifier) {
    var isEntering by rememberSaveable { mutableStateOf(false) }
    Column(
        modifier.verticalScroll(rememberScrollState()),
        verticalArrangement = Arrangement.spacedBy(8.dp),
    ) {
        Row(
            horizontalArrangement = Arrangement.spacedBy(8.dp),
            verticalAlignment = Alignment.CenterVertically,
        ) {
            for (kind in PuzzleKind.entries) {
                FilterChip(
                    kind == state.kind,
                    onClick = { controller.select(kind) },
                    label = { Text(kind.title) },
                )
            }
            TextButton(onClick = { isEntering = true }) { Text("Enter…") }
        }
        Row(horizontalArrangement = Arrangement.spacedBy(8.dp)) {
            if (state.isSolving) {
                Button(onClick = controller::stop) { Text("Stop") }
            } else {
                Button(onClick = controller::start) { Text("Solve") }
            }
            val examples = state.kind.examples
            if (examples.size > 1) {
                val next = examples[(examples.indexOf(state.puzzle) + 1) % examples.size]
                OutlinedButton(onClick = { controller.select(state.kind, next) }) {
                    Text("Next puzzle")
                }
            }
        }
        // A screen reader announces every change.
        Text(
            state.summary,
            Modifier.semantics { liveRegion = LiveRegionMode.Polite },
            style = MaterialTheme.typography.titleMedium,
        )
        HaltingProbability(state)
        if (state.steps.isNotEmpty()) {
            Text("Step ${state.shownStep} of ${state.steps.size}")
            Slider(
                value = state.shownStep.toFloat(),
                onValueChange = { controller.showStep(it.roundToInt()) },
                valueRange = 0f..state.steps.size.toFloat(),
                steps = state.steps.size - 1,
                modifier = Modifier.semantics { contentDescription = "Step on the screen" },
            )
        }
    }
    if (isEntering) {
        EnterDialog(
            state.kind,
            onDone = {
                isEntering = false
                it?.let(controller::enter)
            },
        )
    }
}

/** Shows the halting probability: the model's estimate that its answer is correct. */
@Composable
private fun HaltingProbability(state: SolveState) {
    val probability = state.step?.haltProbability ?: 0.0
    val percent = "${(probability * 100).roundToInt()} %"
    Text("Halting probability: $percent")
    LinearProgressIndicator(
        progress = { probability.toFloat() },
        modifier = Modifier.fillMaxWidth().semantics {
            contentDescription = "Halting probability"
            stateDescription = percent
        },
    )
}

/** Asks the user for a puzzle. `onDone` receives its text, or null if the user cancelled. */
@Composable
private fun EnterDialog(kind: PuzzleKind, onDone: (String?) -> Unit) {
    var text by rememberSaveable(kind) { mutableStateOf("") }
    val help = when (kind) {
        PuzzleKind.Sudoku -> "Row by row, a dot for an empty cell"
        PuzzleKind.Maze -> "${kind.side} rows: # wall, S start, G goal, spaces elsewhere"
    }
    AlertDialog(
        onDismissRequest = { onDone(null) },
        title = { Text("Your ${kind.title.lowercase()}") },
        text = {
            OutlinedTextField(
                text, { text = it }, minLines = kind.side, supportingText = { Text(help) },
                textStyle = MaterialTheme.typography.bodyLarge
                    .copy(fontFamily = FontFamily.Monospace),
            )
        },
        confirmButton = { TextButton(onClick = { onDone(text) }) { Text("Show") } },
        dismissButton = { TextButton(onClick = { onDone(null) }) { Text("Cancel") } },
    )
}
