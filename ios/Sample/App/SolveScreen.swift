import Combine
import SampleCore
import SwiftUI

/// Shows a board while a model solves it, and the steps so far.
struct SolveScreen: View {
    @State private var controller: SolveController
    @Environment(\.scenePhase) private var phase

    init(board: Board) {
        // The repository's models are a resource folder of the app.
        let models = Bundle.main.bundleURL.appendingPathComponent("models")
        _controller = State(initialValue: SolveController(board, models: models))
    }

    var body: some View {
        ScrollView {
            VStack(spacing: 16) {
                BoardView(board: controller.board, frame: controller.replay.frame)
                Text(controller.summary)
                    .font(.callout)
                    .monospacedDigit()
                    .multilineTextAlignment(.center)
                    .accessibilityAddTraits(.updatesFrequently)
                if controller.state == .solving {
                    Button("Stop", systemImage: "stop.fill", role: .destructive) {
                        controller.stop()
                    }
                } else {
                    Button("Solve", systemImage: "play.fill") { controller.start() }
                }
                StepsView(replay: $controller.replay)
            }
            .buttonStyle(.borderedProminent)
            .padding()
        }
        .navigationBarTitleDisplayMode(.inline)
        .onAppear {
            updateThermalLevel()
            controller.start()
        }
        .onDisappear { controller.stop() }
        .onChange(of: phase) { if phase == .background { controller.stop() } }
        .onReceive(
            NotificationCenter.default
                .publisher(for: ProcessInfo.thermalStateDidChangeNotification)
                .receive(on: RunLoop.main)
        ) { _ in updateThermalLevel() }
    }

    private func updateThermalLevel() {
        controller.thermalLevel =
            switch ProcessInfo.processInfo.thermalState {
            case .nominal, .fair: .cool
            case .serious: .warm
            case .critical: .hot
            @unknown default: .warm
            }
    }
}

/// Shows the halting probability of each step as a bar, and a slider to select a step.
private struct StepsView: View {
    @Binding var replay: Replay

    var body: some View {
        if let frame = replay.frame {
            HStack(alignment: .bottom, spacing: 2) {
                ForEach(replay.frames.indices, id: \.self) { index in
                    RoundedRectangle(cornerRadius: 2)
                        .fill(index == replay.position ? Color.accentColor : Color.secondary)
                        .frame(height: 4 + 44 * replay.frames[index].haltProbability)
                        .frame(maxWidth: 24)
                        .onTapGesture { replay.position = index }
                }
            }
            .frame(height: 48, alignment: .bottom)
            // The slider has the same information for a screen reader.
            .accessibilityHidden(true)
            if replay.frames.count > 1 {
                let range = 0...Double(replay.frames.count - 1)
                Slider(value: position, in: range, step: 1) { Text("Step") }
                    .accessibilityValue(frame.summary)
            }
            Text(frame.summary)
                .font(.footnote)
                .monospacedDigit()
                .foregroundStyle(.secondary)
        }
    }

    private var position: Binding<Double> {
        Binding(get: { Double(replay.position) }, set: { replay.position = Int($0.rounded()) })
    }
}
