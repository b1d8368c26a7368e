import Combine
import SwiftUI
import Thinking

/// A board while a model thinks about it, and the steps that it took.
struct ThinkingScreen: View {
    @State private var thinker: Thinker
    @Environment(\.scenePhase) private var phase

    init(board: Board) {
        // The folder of the repository, among the app's resources.
        let models = Bundle.main.bundleURL.appendingPathComponent("models")
        _thinker = State(initialValue: Thinker(board, models: models))
    }

    var body: some View {
        ScrollView {
            VStack(spacing: 16) {
                BoardView(board: thinker.board, frame: thinker.replay.frame)
                Text(thinker.summary)
                    .font(.callout)
                    .monospacedDigit()
                    .multilineTextAlignment(.center)
                    .accessibilityAddTraits(.updatesFrequently)
                if thinker.state == .thinking {
                    Button("Stop", systemImage: "stop.fill", role: .destructive) { thinker.stop() }
                } else {
                    Button("Think", systemImage: "brain") { thinker.think() }
                }
                StepsView(replay: $thinker.replay)
            }
            .buttonStyle(.borderedProminent)
            .padding()
        }
        .navigationBarTitleDisplayMode(.inline)
        .onAppear {
            feelHeat()
            thinker.think()
        }
        .onDisappear { thinker.stop() }
        .onChange(of: phase) { if phase == .background { thinker.stop() } }
        .onReceive(
            NotificationCenter.default.publisher(for: ProcessInfo.thermalStateDidChangeNotification).receive(on: RunLoop.main)
        ) { _ in feelHeat() }
    }

    private func feelHeat() {
        thinker.heat =
            switch ProcessInfo.processInfo.thermalState {
            case .nominal, .fair: .cool
            case .serious: .warm
            case .critical: .hot
            @unknown default: .warm
            }
    }
}

/// The halting probability of each step as a bar, and a slider through them.
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
            // The slider says the same.
            .accessibilityHidden(true)
            if replay.frames.count > 1 {
                Slider(value: position, in: 0...Double(replay.frames.count - 1), step: 1) { Text("Step") }
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
