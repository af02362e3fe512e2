package com.google.firebase.messaging;

import androidx.annotation.NonNull;

public class FirebaseMessaging {
	@NonNull public static FirebaseMessaging getInstance() { throw new AssertionError(); }
	@NonNull public com.google.android.gms.tasks.Task<String> getToken() { throw new AssertionError(); }
}
