package android.app;

public class Notification { public android.os.Bundle extras; }
