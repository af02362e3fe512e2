package org.example.chat

import android.app.NotificationManager
import android.app.PendingIntent
import android.content.Intent
import androidx.core.app.NotificationCompat
import com.google.firebase.messaging.FirebaseMessagingService
import com.google.firebase.messaging.RemoteMessage

/** What arrives while the app is in the foreground, silent pushes, and new tokens. */
class ChatMessagingService : FirebaseMessagingService() {
    override fun onNewToken(token: String) = Device.register(this, token)

    override fun onMessageReceived(message: RemoteMessage) {
        val manager = getSystemService(NotificationManager::class.java)
        val room = message.data["room"] ?: ""
        val shown = message.notification
        if (shown == null) {
            // Read elsewhere. Notifications that Android has shown by itself have the tag of the
            // push; those of this service are found by their room.
            manager.activeNotifications
                .filter { it.notification.extras.getString("room") == room }
                .forEach { manager.cancel(it.tag, it.id) }
            return
        }
        if (room == ChatActivity.openRoom) return // the user looks at it
        val open = Intent(this, ChatActivity::class.java).putExtra("room", room).setFlags(Intent.FLAG_ACTIVITY_SINGLE_TOP)
        val tap = PendingIntent.getActivity(this, room.hashCode(), open, PendingIntent.FLAG_IMMUTABLE or PendingIntent.FLAG_UPDATE_CURRENT)
        val notification = NotificationCompat.Builder(this, "messages")
            .setSmallIcon(android.R.drawable.sym_action_chat)
            .setContentTitle(shown.title).setContentText(shown.body)
            .setContentIntent(tap).setAutoCancel(true)
            .addExtras(android.os.Bundle().apply { putString("room", room) })
            .build()
        manager.notify(shown.tag, 0, notification) // the same tag takes the same place
    }
}
