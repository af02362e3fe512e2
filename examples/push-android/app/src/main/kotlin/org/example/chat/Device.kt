package org.example.chat

import android.content.Context
import org.json.JSONObject
import java.net.HttpURLConnection
import java.net.URL
import java.net.URLEncoder
import java.util.UUID
import kotlin.concurrent.thread

/** Where the server is, and who the user is: from the sign-in of your app. */
object Session {
    const val SERVER = "https://chat.example.org"
    var user = ""
    var token = "" // for this user, made by your back end
}

/** This installation, as the server knows it. */
object Device {
    private fun id(context: Context): String {
        val kept = context.getSharedPreferences("push", Context.MODE_PRIVATE)
        return kept.getString("device", null) ?: UUID.randomUUID().toString().also { kept.edit().putString("device", it).apply() }
    }

    /** Registers the device: at each start, and whenever Firebase has a new token. Doing so again changes nothing. */
    fun register(context: Context, fcmToken: String) {
        val address = JSONObject().put("token", fcmToken)
        request(context, "PUT", JSONObject().put("provider", "fcm").put("address", address))
    }

    /** Ends notifications, before the user signs out. */
    fun drop(context: Context) = request(context, "DELETE", null)

    private fun request(context: Context, method: String, body: JSONObject?) {
        if (Session.token.isEmpty()) return
        val path = "/v1/users/${escaped(Session.user)}/devices/${id(context)}"
        thread {
            try {
                val c = URL(Session.SERVER + path).openConnection() as HttpURLConnection
                c.requestMethod = method
                c.setRequestProperty("Authorization", "Bearer ${Session.token}")
                if (body != null) {
                    c.doOutput = true
                    c.setRequestProperty("Content-Type", "application/json")
                    c.outputStream.use { it.write(body.toString().toByteArray()) }
                }
                c.responseCode
                c.disconnect()
            } catch (e: java.io.IOException) {
                // The next start registers it.
            }
        }
    }

    private fun escaped(s: String) = URLEncoder.encode(s, "UTF-8").replace("+", "%20")
}
