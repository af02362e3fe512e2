import SwiftUI
import UserNotifications

@main
struct ChatApp: App {
    @UIApplicationDelegateAdaptor(Delegate.self) private var delegate
    @Environment(\.scenePhase) private var phase

    var body: some Scene {
        WindowGroup {
            RoomView(model: delegate.model)
        }
        .onChange(of: phase) { now in
            // On the socket: {"type":"foreground","on":false} in the background, or close it.
            if now == .active { UIApplication.shared.registerForRemoteNotifications() }
        }
    }
}

final class Model: ObservableObject {
    @Published var room: String?
}

struct RoomView: View {
    @ObservedObject var model: Model

    var body: some View {
        VStack(spacing: 16) {
            Text(model.room ?? "No room is open")
            // Ask when the user knows what it is for.
            Button("Tell me of new messages") {
                UNUserNotificationCenter.current().requestAuthorization(options: [.alert, .badge, .sound]) { _, _ in }
            }
        }
    }
}

final class Delegate: NSObject, UIApplicationDelegate, UNUserNotificationCenterDelegate {
    let model = Model()

    func application(_ application: UIApplication, didFinishLaunchingWithOptions options: [UIApplication.LaunchOptionsKey: Any]?) -> Bool {
        UNUserNotificationCenter.current().delegate = self
        application.registerForRemoteNotifications()
        return true
    }

    func application(_ application: UIApplication, didRegisterForRemoteNotificationsWithDeviceToken token: Data) {
        Device.register(token)
    }

    func application(_ application: UIApplication, didFailToRegisterForRemoteNotificationsWithError error: Error) {
        print("no notifications: \(error.localizedDescription)")
    }

    /// A push without a text, with the background mode "Remote notifications": a room was read elsewhere.
    func application(_ application: UIApplication, didReceiveRemoteNotification push: [AnyHashable: Any],
                     fetchCompletionHandler done: @escaping (UIBackgroundFetchResult) -> Void) {
        let data = push["data"] as? [String: String] ?? [:]
        guard let room = data["room"], let read = data["read"].flatMap(Int.init) else { return done(.noData) }
        let center = UNUserNotificationCenter.current()
        center.getDeliveredNotifications { delivered in
            let gone = delivered.filter {
                let shown = $0.request.content.userInfo["data"] as? [String: String] ?? [:]
                return shown["room"] == room && (shown["seq"].flatMap(Int.init) ?? 0) <= read
            }
            center.removeDeliveredNotifications(withIdentifiers: gone.map(\.request.identifier))
            done(.newData)
        }
    }

    /// In the foreground: not for the room that is open.
    func userNotificationCenter(_ center: UNUserNotificationCenter, willPresent notification: UNNotification) async -> UNNotificationPresentationOptions {
        room(of: notification) == model.room ? [] : [.banner, .list, .badge, .sound]
    }

    /// A tap opens the room.
    func userNotificationCenter(_ center: UNUserNotificationCenter, didReceive response: UNNotificationResponse) async {
        let tapped = room(of: response.notification)
        await MainActor.run { model.room = tapped }
    }

    private func room(of notification: UNNotification) -> String? {
        (notification.request.content.userInfo["data"] as? [String: String])?["room"]
    }
}
