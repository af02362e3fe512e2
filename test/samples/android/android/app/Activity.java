package android.app;

import androidx.annotation.Nullable;

public class Activity extends android.view.ContextThemeWrapper {
	public android.content.Intent getIntent() { throw new AssertionError(); }
	public void setContentView(android.view.View view) {}
	protected void onCreate(@Nullable android.os.Bundle state) {}
	protected void onNewIntent(android.content.Intent intent) {}
	protected void onStop() {}
}
