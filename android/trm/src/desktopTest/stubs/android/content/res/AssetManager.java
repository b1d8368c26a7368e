package android.content.res;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;

/** Stub with the methods that Assets.kt uses. Tests supply the assets. */
public final class AssetManager {
    private final Map<String, AssetFileDescriptor> stored;
    private final Map<String, byte[]> compressed;

    public AssetManager(Map<String, AssetFileDescriptor> stored, Map<String, byte[]> compressed) {
        this.stored = stored;
        this.compressed = compressed;
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        AssetFileDescriptor asset = stored.get(name);
        // The messages of Android.
        if (compressed.containsKey(name)) {
            throw new FileNotFoundException(
                "This file can not be opened as a file descriptor; it is probably compressed");
        }
        if (asset == null) throw new FileNotFoundException(name);
        return asset;
    }

    public InputStream open(String name) throws IOException {
        byte[] bytes = compressed.get(name);
        if (bytes == null) throw new FileNotFoundException(name);
        return new java.io.ByteArrayInputStream(bytes);
    }
}
