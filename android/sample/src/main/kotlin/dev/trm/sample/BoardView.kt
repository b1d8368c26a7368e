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
import androidx.compose.ui.unit.Dp
import androidx.compose.ui.unit.dp

/** Shows the board after a step and marks the cells that the step changed. */
@Composable
fun BoardView(state: SolveState, modifier: Modifier = Modifier) {
    val kind = state.kind
    val cells = state.cells
    // A block starts with a wider line.
    fun lineWidth(index: Int): Dp =
        if (kind.block > 1 && index > 0 && index % kind.block == 0) 2.dp else 0.5.dp
    Column(modifier.aspectRatio(1f).background(MaterialTheme.colorScheme.outline).padding(1.dp)) {
        for (row in 0 until kind.side) {
            Row(Modifier.weight(1f)) {
                for (column in 0 until kind.side) {
                    val index = row * kind.side + column
                    val lines = Modifier.weight(1f).fillMaxHeight()
                        .padding(start = lineWidth(column), top = lineWidth(row))
                    CellView(kind, index, cells[index], lines)
                }
            }
        }
    }
}

@Composable
private fun CellView(kind: PuzzleKind, index: Int, cell: Cell, modifier: Modifier) {
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
        modifier.background(color).clearAndSetSemantics {
            contentDescription = kind.description(index, cell)
        },
        contentAlignment = Alignment.Center,
    ) {
        if (cell.symbol !in "# ") {
            Text(
                cell.symbol.toString(),
                color = when {
                    cell.changed -> colors.onTertiaryContainer
                    cell.given -> colors.onSurface
                    else -> colors.primary
                },
                fontWeight = if (cell.given) FontWeight.Bold else FontWeight.Normal,
            )
        } else if (cell.changed) {
            // Colour alone is not enough, so an emptied cell gets a dot.
            Text("·", color = if (cell.symbol == '#') Color.White else colors.onTertiaryContainer)
        }
    }
}
