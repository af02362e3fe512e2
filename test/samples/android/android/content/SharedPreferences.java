package android.content;

import androidx.annotation.Nullable;

public interface SharedPreferences {
	@Nullable String getString(String key, @Nullable String other);
	Editor edit();
	interface Editor {
		Editor putString(String key, @Nullable String value);
		void apply();
	}
}
