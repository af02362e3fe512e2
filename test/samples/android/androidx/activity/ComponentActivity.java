package androidx.activity;

import androidx.annotation.NonNull;

public class ComponentActivity extends android.app.Activity {
	@Override protected void onNewIntent(@NonNull android.content.Intent intent) {}
	@NonNull public final <I, O> androidx.activity.result.ActivityResultLauncher<I> registerForActivityResult(
		@NonNull androidx.activity.result.contract.ActivityResultContract<I, O> contract, @NonNull androidx.activity.result.ActivityResultCallback<O> callback) { throw new AssertionError(); }
}
