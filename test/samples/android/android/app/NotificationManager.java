package android.app;

import androidx.annotation.NonNull;
import androidx.annotation.Nullable;

public class NotificationManager {
	public static final int IMPORTANCE_HIGH = 4;
	public void cancel(@Nullable String tag, int id) {}
	public void createNotificationChannel(@NonNull NotificationChannel channel) {}
	public android.service.notification.StatusBarNotification[] getActiveNotifications() { throw new AssertionError(); }
	public void notify(String tag, int id, Notification notification) {}
}
