package android.content.res;

import java.io.Closeable;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;

/** Stub: a part of a file, as an asset is a part of the app's package. */
public final class AssetFileDescriptor implements Closeable {
    private final FileInputStream file;
    private final long start;
    private final long length;
    public boolean closed;

    public AssetFileDescriptor(FileInputStream file, long start, long length) {
        this.file = file;
        this.start = start;
        this.length = length;
    }

    public FileDescriptor getFileDescriptor() throws IOException {
        return file.getFD();
    }

    public long getStartOffset() {
        return start;
    }

    public long getLength() {
        return length;
    }

    @Override
    public void close() throws IOException {
        closed = true;
        file.close();
    }
}
