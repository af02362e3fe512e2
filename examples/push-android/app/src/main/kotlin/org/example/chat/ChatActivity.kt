package org.example.chat

import android.Manifest
import android.app.NotificationChannel
import android.app.NotificationManager
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import com.google.firebase.messaging.FirebaseMessaging

class ChatActivity : ComponentActivity() {
    private val permission = registerForActivityResult(ActivityResultContracts.RequestPermission()) {}
    private lateinit var text: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        text = TextView(this).also(::setContentView)
        if (Build.VERSION.SDK_INT >= 26) {
            val channel = NotificationChannel("messages", "Messages", NotificationManager.IMPORTANCE_HIGH)
            getSystemService(NotificationManager::class.java).createNotificationChannel(channel)
        }
        // Ask when the user has seen what it is for, such as after the first message.
        if (Build.VERSION.SDK_INT >= 33) permission.launch(Manifest.permission.POST_NOTIFICATIONS)
        FirebaseMessaging.getInstance().token.addOnSuccessListener { Device.register(this, it) }
        show(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        show(intent)
    }

    override fun onStop() {
        super.onStop()
        openRoom = null // on the socket: {"type":"foreground","on":false}, or close it
    }

    /** Opens the room of the notification that was tapped. */
    private fun show(intent: Intent) {
        openRoom = intent.getStringExtra("room")
        text.text = openRoom ?: "No room is open"
    }

    companion object {
        @Volatile var openRoom: String? = null
    }
}
