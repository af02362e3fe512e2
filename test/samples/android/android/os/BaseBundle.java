package android.os;

import androidx.annotation.Nullable;

public class BaseBundle {
	@Nullable public String getString(@Nullable String key) { throw new AssertionError(); }
	public void putString(@Nullable String key, @Nullable String value) {}
}
