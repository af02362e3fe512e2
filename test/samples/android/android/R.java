package android;

public final class R { public static final class drawable { public static final int sym_action_chat = 17301640; } }
