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

/** The board beside or above its controls, as the window is wide or high. */
@Composable
fun Screen(thinking: Thinking, thinker: Thinker) {
    Surface(Modifier.fillMaxSize()) {
        BoxWithConstraints(Modifier.safeDrawingPadding().padding(16.dp)) {
            if (maxWidth > maxHeight) {
                Row(horizontalArrangement = Arrangement.spacedBy(16.dp)) {
                    BoardView(thinking)
                    Controls(thinking, thinker, Modifier.weight(1f))
                }
            } else {
                Column(verticalArrangement = Arrangement.spacedBy(16.dp)) {
                    BoardView(thinking, Modifier.fillMaxWidth())
                    Controls(thinking, thinker, Modifier.weight(1f))
                }
            }
        }
    }
}

@Composable
private fun Controls(thinking: Thinking, thinker: Thinker, modifier: Modifier) {
    var writes by rememberSaveable { mutableStateOf(false) }
    Column(modifier.verticalScroll(rememberScrollState()), verticalArrangement = Arrangement.spacedBy(8.dp)) {
        Row(horizontalArrangement = Arrangement.spacedBy(8.dp), verticalAlignment = Alignment.CenterVertically) {
            for (game in Game.entries) {
                FilterChip(game == thinking.game, onClick = { thinker.choose(game) }, label = { Text(game.title) })
            }
            TextButton(onClick = { writes = true }) { Text("Enter…") }
        }
        Row(horizontalArrangement = Arrangement.spacedBy(8.dp)) {
            if (thinking.thinks) {
                Button(onClick = thinker::stop) { Text("Stop") }
            } else {
                Button(onClick = thinker::start) { Text("Think") }
            }
            val examples = thinking.game.examples
            if (examples.size > 1) {
                val next = examples[(examples.indexOf(thinking.puzzle) + 1) % examples.size]
                OutlinedButton(onClick = { thinker.choose(thinking.game, next) }) { Text("Next puzzle") }
            }
        }
        // Said aloud as it changes.
        Text(thinking.said, Modifier.semantics { liveRegion = LiveRegionMode.Polite }, style = MaterialTheme.typography.titleMedium)
        Halting(thinking)
        if (thinking.steps.isNotEmpty()) {
            Text("Step ${thinking.shown} of ${thinking.steps.size}")
            Slider(
                value = thinking.shown.toFloat(),
                onValueChange = { thinker.show(it.roundToInt()) },
                valueRange = 0f..thinking.steps.size.toFloat(),
                steps = thinking.steps.size - 1,
                modifier = Modifier.semantics { contentDescription = "Step that is shown" },
            )
        }
    }
    if (writes) {
        Writing(thinking.game, onDone = { writes = false; it?.let(thinker::enter) })
    }
}

/** How sure the model is that its answer is right. */
@Composable
private fun Halting(thinking: Thinking) {
    val probability = thinking.step?.haltProbability ?: 0.0
    val percent = "${(probability * 100).roundToInt()} %"
    Text("Halts with $percent")
    LinearProgressIndicator(
        progress = { probability.toFloat() },
        modifier = Modifier.fillMaxWidth().semantics {
            contentDescription = "Halting probability"
            stateDescription = percent
        },
    )
}

/** A puzzle of one's own; `onDone` gets null if nothing was to be changed. */
@Composable
private fun Writing(game: Game, onDone: (String?) -> Unit) {
    var text by rememberSaveable(game) { mutableStateOf("") }
    val help = when (game) {
        Game.Sudoku -> "Row by row, a dot for an empty cell"
        Game.Maze -> "${game.side} rows: # wall, S start, G goal, blanks between"
    }
    AlertDialog(
        onDismissRequest = { onDone(null) },
        title = { Text("Your ${game.title.lowercase()}") },
        text = {
            OutlinedTextField(
                text, { text = it }, minLines = game.side, supportingText = { Text(help) },
                textStyle = MaterialTheme.typography.bodyLarge.copy(fontFamily = FontFamily.Monospace),
            )
        },
        confirmButton = { TextButton(onClick = { onDone(text) }) { Text("Show") } },
        dismissButton = { TextButton(onClick = { onDone(null) }) { Text("Cancel") } },
    )
}
