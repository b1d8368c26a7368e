import SwiftUI
import Thinking

/// A board after a step, or as the puzzle is.
struct BoardView: View {
    let board: Board
    let frame: Frame?

    var body: some View {
        Grid(horizontalSpacing: 0, verticalSpacing: 0) {
            ForEach(0..<board.side, id: \.self) { row in
                GridRow {
                    ForEach(0..<board.side, id: \.self) { column in
                        CellView(kind: board.kind, cell: board.cell(row * board.side + column, in: frame))
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

    /// Around the boxes.
    private var lines: Lines {
        Lines(rows: board.side / board.box.rows, columns: board.side / board.box.columns)
    }
}

private struct CellView: View {
    let kind: Board.Kind
    let cell: Cell

    var body: some View {
        Rectangle()
            .fill(background)
            .overlay { if kind == .sudoku { Rectangle().stroke(Color.secondary.opacity(0.4), lineWidth: 0.5) } }
            .overlay {
                Text(kind == .maze && "# ".contains(cell.symbol) ? "" : String(cell.symbol))
                    .font(.system(size: 100, weight: cell.isGiven ? .bold : .regular, design: .rounded))
                    .lineLimit(1)
                    .minimumScaleFactor(0.05)
                    .foregroundStyle(cell.isGiven ? Color.primary : Color.accentColor)
                    .padding(3)
            }
            // A corner beside the colour, for those who see no colours.
            .overlay(alignment: .topTrailing) {
                if cell.isChanged { Circle().fill(Color.primary).frame(width: 5, height: 5).padding(2) }
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

/// A frame in equal parts.
private struct Lines: Shape {
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
