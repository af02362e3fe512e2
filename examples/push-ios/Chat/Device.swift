import Foundation

/// Where the server is, and who the user is: from the sign-in of your app.
enum Session {
    static let server = URL(string: "https://chat.example.org")!
    static var user = ""
    static var token = "" // for this user, made by your back end
}

/// This installation, as the server knows it.
enum Device {
    private static var id: String {
        if let kept = UserDefaults.standard.string(forKey: "device") { return kept }
        let made = UUID().uuidString
        UserDefaults.standard.set(made, forKey: "device")
        return made
    }

    private static var environment: String {
        #if DEBUG
        return "sandbox"
        #else
        return "production"
        #endif
    }

    /// Registers the device, at each start. Doing so again changes nothing.
    static func register(_ token: Data) {
        let address = [
            "token": token.map { String(format: "%02x", $0) }.joined(),
            "topic": Bundle.main.bundleIdentifier ?? "",
            "environment": environment,
        ]
        send("PUT", ["provider": "apns", "address": address])
    }

    /// Ends notifications, before the user signs out.
    static func drop() { send("DELETE", nil) }

    private static func send(_ method: String, _ body: [String: Any]?) {
        guard !Session.token.isEmpty else { return }
        // Each part is escaped by itself: user ids may hold slashes.
        var allowed = CharacterSet.urlPathAllowed
        allowed.remove("/")
        let user = Session.user.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
        guard let url = URL(string: "/v1/users/\(user)/devices/\(id)", relativeTo: Session.server) else { return }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.setValue("Bearer \(Session.token)", forHTTPHeaderField: "Authorization")
        if let body {
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
            request.httpBody = try? JSONSerialization.data(withJSONObject: body)
        }
        URLSession.shared.dataTask(with: request).resume() // the next start tries again
    }
}
