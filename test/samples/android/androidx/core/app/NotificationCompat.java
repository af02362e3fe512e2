package androidx.core.app;

import androidx.annotation.NonNull;
import androidx.annotation.Nullable;

public class NotificationCompat {
	public static class Builder {
		public Builder(@NonNull android.content.Context context, @NonNull String channelId) {}
		@NonNull public Builder addExtras(@Nullable android.os.Bundle extras) { return this; }
		@NonNull public android.app.Notification build() { throw new AssertionError(); }
		@NonNull public Builder setAutoCancel(boolean autoCancel) { return this; }
		@NonNull public Builder setContentIntent(@Nullable android.app.PendingIntent intent) { return this; }
		@NonNull public Builder setContentText(@Nullable CharSequence text) { return this; }
		@NonNull public Builder setContentTitle(@Nullable CharSequence title) { return this; }
		@NonNull public Builder setSmallIcon(int icon) { return this; }
	}
}
