package android.service.notification;

public class StatusBarNotification {
	public int getId() { throw new AssertionError(); }
	public android.app.Notification getNotification() { throw new AssertionError(); }
	public String getTag() { throw new AssertionError(); }
}
