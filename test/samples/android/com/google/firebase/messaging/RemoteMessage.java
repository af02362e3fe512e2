package com.google.firebase.messaging;

import androidx.annotation.NonNull;
import androidx.annotation.Nullable;

public final class RemoteMessage {
	@NonNull public java.util.Map<String, String> getData() { throw new AssertionError(); }
	@Nullable public Notification getNotification() { throw new AssertionError(); }
	public static class Notification {
		@Nullable public String getBody() { throw new AssertionError(); }
		@Nullable public String getTag() { throw new AssertionError(); }
		@Nullable public String getTitle() { throw new AssertionError(); }
	}
}
