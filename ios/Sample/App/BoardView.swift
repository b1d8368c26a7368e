import SampleCore
import SwiftUI

/// Shows the board after a step. Without a step: the puzzle.
struct BoardView: View {
    let board: Board
    let frame: Frame?

    var body: some View {
        Grid(horizontalSpacing: 0, verticalSpacing: 0) {
            ForEach(0..<board.side, id: \.self) { row in
                GridRow {
                    ForEach(0..<board.side, id: \.self) { column in
                        let index = row * board.side + column
                        CellView(kind: board.kind, cell: board.cell(index, in: frame))
                    }
                }
            }
        }
        .overlay { lines.stroke(Color.primary, lineWidth: 2).accessibilityHidden(true) }
        .aspectRatio(1, contentMode: .fit)
        .animation(.easeOut(duration: 0.2), value: frame)
        .accessibilityElement(children: .contain)
        .accessibilityLabel("Board")
    }

    /// The lines around the boxes.
    private var lines: GridLines {
        GridLines(rows: board.side / board.box.rows, columns: board.side / board.box.columns)
    }
}

private struct CellView: View {
    let kind: Board.Kind
    let cell: Cell

    var body: some View {
        Rectangle()
            .fill(background)
            .overlay {
                if kind == .sudoku {
                    Rectangle().stroke(Color.secondary.opacity(0.4), lineWidth: 0.5)
                }
            }
            .overlay {
                Text(kind == .maze && "# ".contains(cell.symbol) ? "" : String(cell.symbol))
                    .font(.system(size: 100, design: .rounded))
                    .fontWeight(cell.isGiven ? .bold : .regular)
                    .lineLimit(1)
                    .minimumScaleFactor(0.05)
                    .foregroundStyle(cell.isGiven ? Color.primary : Color.accentColor)
                    .padding(3)
            }
            // A dot in the corner, for people who cannot see the colour.
            .overlay(alignment: .topTrailing) {
                if cell.isChanged {
                    Circle().fill(Color.primary).frame(width: 5, height: 5).padding(2)
                }
            }
            .aspectRatio(1, contentMode: .fit)
            .accessibilityElement()
            .accessibilityLabel(cell.label)
    }

    private var background: Color {
        if cell.isChanged { return Color.yellow.opacity(0.35) }
        if kind == .maze && cell.symbol == "#" { return Color.secondary }
        return Color(uiColor: .secondarySystemBackground)
    }
}

/// A rectangle that is divided into equal parts.
private struct GridLines: Shape {
    let rows: Int
    let columns: Int

    func path(in rect: CGRect) -> Path {
        var path = Path(rect)
        for row in 1..<max(rows, 1) {
            let y = rect.minY + rect.height * CGFloat(row) / CGFloat(rows)
            path.move(to: CGPoint(x: rect.minX, y: y))
            path.addLine(to: CGPoint(x: rect.maxX, y: y))
        }
        for column in 1..<max(columns, 1) {
            let x = rect.minX + rect.width * CGFloat(column) / CGFloat(columns)
            path.move(to: CGPoint(x: x, y: rect.minY))
            path.addLine(to: CGPoint(x: x, y: rect.maxY))
        }
        return path
    }
}
