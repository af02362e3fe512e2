package android.content;

import androidx.annotation.NonNull;
import androidx.annotation.Nullable;

public class Intent {
	public static final int FLAG_ACTIVITY_SINGLE_TOP = 0x20000000;
	public Intent(Context context, Class<?> to) {}
	@Nullable public String getStringExtra(String name) { throw new AssertionError(); }
	@NonNull public Intent putExtra(String name, @Nullable String value) { throw new AssertionError(); }
	@NonNull public Intent setFlags(int flags) { throw new AssertionError(); }
}
