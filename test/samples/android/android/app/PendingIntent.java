package android.app;

import androidx.annotation.NonNull;

public final class PendingIntent {
	public static final int FLAG_IMMUTABLE = 1 << 26;
	public static final int FLAG_UPDATE_CURRENT = 1 << 27;
	public static PendingIntent getActivity(android.content.Context context, int requestCode, @NonNull android.content.Intent intent, int flags) { throw new AssertionError(); }
}
