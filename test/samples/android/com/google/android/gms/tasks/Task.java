package com.google.android.gms.tasks;

import androidx.annotation.NonNull;

public abstract class Task<T> {
	@NonNull public abstract Task<T> addOnSuccessListener(@NonNull OnSuccessListener<? super T> listener);
}
