package dev.trm.sample

import androidx.compose.animation.animateColorAsState
import androidx.compose.foundation.background
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.aspectRatio
import androidx.compose.foundation.layout.fillMaxHeight
import androidx.compose.foundation.layout.padding
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.semantics.clearAndSetSemantics
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.unit.dp

/** The board after the step that is shown. Cells that it changed are marked. */
@Composable
fun BoardView(thinking: Thinking, modifier: Modifier = Modifier) {
    val game = thinking.game
    val cells = thinking.cells
    Column(modifier.aspectRatio(1f).background(MaterialTheme.colorScheme.outline).padding(1.dp)) {
        for (row in 0 until game.side) {
            Row(Modifier.weight(1f)) {
                for (column in 0 until game.side) {
                    val index = row * game.side + column
                    // A wider line where a block begins.
                    val left = if (game.block > 1 && column > 0 && column % game.block == 0) 2.dp else 0.5.dp
                    val top = if (game.block > 1 && row > 0 && row % game.block == 0) 2.dp else 0.5.dp
                    CellView(game, index, cells[index], Modifier.weight(1f).fillMaxHeight().padding(start = left, top = top))
                }
            }
        }
    }
}

@Composable
private fun CellView(game: Game, index: Int, cell: Cell, modifier: Modifier) {
    val colors = MaterialTheme.colorScheme
    val color by animateColorAsState(
        when {
            cell.changed -> colors.tertiaryContainer
            cell.symbol == '#' -> colors.onSurfaceVariant
            cell.symbol == 'o' -> colors.primaryContainer
            else -> colors.surface
        },
        label = "cell",
    )
    Box(
        modifier.background(color).clearAndSetSemantics { contentDescription = game.spoken(index, cell) },
        contentAlignment = Alignment.Center,
    ) {
        if (cell.symbol !in "# ") {
            Text(
                cell.symbol.toString(),
                color = if (cell.changed) colors.onTertiaryContainer else if (cell.given) colors.onSurface else colors.primary,
                fontWeight = if (cell.given) FontWeight.Bold else FontWeight.Normal,
            )
        } else if (cell.changed) {
            // What vanished, too, is marked by more than its colour.
            Text("·", color = if (cell.symbol == '#') Color.White else colors.onTertiaryContainer)
        }
    }
}
