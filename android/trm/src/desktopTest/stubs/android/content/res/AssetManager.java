package android.content.res;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;

/** As much of Android's class as Assets.kt uses, over files that tests lay out. */
public final class AssetManager {
    private final Map<String, AssetFileDescriptor> stored;
    private final Map<String, byte[]> compressed;

    public AssetManager(Map<String, AssetFileDescriptor> stored, Map<String, byte[]> compressed) {
        this.stored = stored;
        this.compressed = compressed;
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        AssetFileDescriptor asset = stored.get(name);
        // What Android says of both.
        if (asset == null) {
            throw new FileNotFoundException(compressed.containsKey(name)
                ? "This file can not be opened as a file descriptor; it is probably compressed" : name);
        }
        return asset;
    }

    public InputStream open(String name) throws IOException {
        byte[] bytes = compressed.get(name);
        if (bytes == null) throw new FileNotFoundException(name);
        return new java.io.ByteArrayInputStream(bytes);
    }
}
